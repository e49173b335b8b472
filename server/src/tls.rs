//! TLS: the certificate and the key, which can be replaced while the server runs, and the clients who
//! show a certificate of their own.

use std::{
    fmt, fs,
    future::Future,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::{Extension, middleware::AddExtension};
use axum_server::accept::Accept;
use runbook_intake::ClientName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        Error, InconsistentKeys, RootCertStore, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
    },
    server::TlsStream,
};
use tower::Layer as _;
use url::Url;

use crate::problem::Problem;

/// How long somebody may take to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long, and with how many bytes, somebody who does not speak TLS is listened to.
const PLAIN: Duration = Duration::from_secs(2);
const LONGEST_PLAIN: usize = 64 * 1024;
/// The largest file of certificates, in bytes.
const LARGEST_FILE: u64 = 4 * 1024 * 1024;
/// What every TLS connection begins with: a record that holds a handshake.
const HANDSHAKE_RECORD: u8 = 22;

/// Where certificates and the key are, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Who vouches for clients; none are asked for a certificate where it is not given.
    pub client_authorities: Option<PathBuf>,
}

/// Files that cannot be used, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} cannot be used for TLS: {why}", file = file.display())]
pub struct TlsError {
    pub file: PathBuf,
    pub why: String,
    pub hint: &'static str,
}

/// What was read of the files, sound as a whole.
#[derive(Clone)]
pub struct Terms(Arc<ServerConfig>);

/// The TLS of a server. A cheap handle; clones share the terms.
#[derive(Clone)]
pub struct Tls {
    terms: Arc<RwLock<Terms>>,
    /// Where those are sent who do not speak TLS.
    address: Url,
}

/// Who is at the other end of a connection; in every request that came over TLS.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// The names in the certificate that the client has shown and that an authority vouches for.
    pub client: Option<Arc<[ClientName]>>,
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms").finish_non_exhaustive()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("address", &self.address.as_str()).finish_non_exhaustive()
    }
}

impl Terms {
    /// Reads the files: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// What cannot be used, by its file.
    pub fn read(files: &Files) -> Result<Self, TlsError> {
        let chain = certificates(
            &files.certificate,
            "it holds the chain in PEM, the server's own certificate first",
        )?;
        let key = key(&files.key)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let failed = |file: &Path, error: &dyn fmt::Display, hint| wrong(file, error.to_string(), hint);
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&files.certificate, &error, "this build speaks no version of TLS"))?;
        let builder = match &files.client_authorities {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let hint = "it holds the certificates of authorities in PEM";
                let mut roots = RootCertStore::empty();
                for authority in certificates(file, hint)? {
                    roots.add(authority).map_err(|error| failed(file, &error, hint))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                // Browsers have none. Which hook takes which, the hook says.
                let verifier = verifier.allow_unauthenticated().build();
                builder.with_client_cert_verifier(verifier.map_err(|error| failed(file, &error, hint))?)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => wrong(
                &files.key,
                format!("it is not the key of the certificate in {}", files.certificate.display()),
                "the key and the certificate are made together; one of the files is of another pair",
            ),
            error => failed(&files.certificate, &error, "make it anew, with its key"),
        })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

fn wrong(file: &Path, why: impl Into<String>, hint: &'static str) -> TlsError {
    TlsError { file: file.to_owned(), why: why.into(), hint }
}

fn bytes(file: &Path) -> Result<Vec<u8>, TlsError> {
    let hint = "check `server.tls`, and that this user may read the file";
    let failed = |error: io::Error| wrong(file, error.to_string(), hint);
    if fs::metadata(file).map_err(failed)?.len() > LARGEST_FILE {
        return Err(wrong(file, format!("it is larger than {LARGEST_FILE} bytes"), "check `server.tls`"));
    }
    fs::read(file).map_err(failed)
}

fn certificates(file: &Path, hint: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all = CertificateDer::pem_slice_iter(&bytes(file)?).collect::<Result<Vec<_>, _>>();
    match all {
        Ok(all) if all.is_empty() => Err(wrong(file, "there is no certificate in it", hint)),
        Ok(all) => Ok(all),
        Err(error) => Err(wrong(file, error.to_string(), hint)),
    }
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = bytes(file)?;
    let open = fs::metadata(file).is_ok_and(|found| found.mode() & 0o004 != 0);
    if open {
        return Err(wrong(
            file,
            "everybody on this machine may read it",
            "`chmod o-r` the key; a secret of Kubernetes takes `defaultMode: 0440` and the pod's `fsGroup`",
        ));
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        wrong(file, "there is no private key in it", "it holds the key in PEM, without a passphrase")
    })
}

impl Tls {
    /// `address` is where people reach the server.
    pub fn new(terms: Terms, address: Url) -> Self {
        Self { terms: Arc::new(RwLock::new(terms)), address }
    }

    /// Whoever comes from now on meets these. Connections that stand go on.
    pub fn replace(&self, terms: Terms) {
        *self.terms.write().unwrap_or_else(PoisonError::into_inner) = terms;
    }

    async fn meet(self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first[0] != HANDSHAKE_RECORD {
            timeout(PLAIN, self.send_away(stream)).await??;
            return Err(io::Error::other("no TLS was spoken"));
        }
        let terms = self.terms.read().unwrap_or_else(PoisonError::into_inner).clone();
        TlsAcceptor::from(terms.0).accept(stream).await
    }

    /// Says in plain HTTP that this is not the way. Nothing of what was asked is read as a request.
    async fn send_away(&self, mut stream: TcpStream) -> io::Result<()> {
        let problem = Problem::unreadable("this port speaks TLS, and the request came without it")
            .hint(format!("ask at {}; a secret that was sent along is to be replaced", self.address));
        let body = serde_json::to_string(&problem).map_err(io::Error::other)?;
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: \
             close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // A connection that is closed with something unread takes the answer with it.
        let mut rest = stream.take(LONGEST_PLAIN as u64);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.map(drop)
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for Tls {
    type Stream = TlsStream<TcpStream>;
    type Service = AddExtension<S, Peer>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let tls = self.clone();
        Box::pin(async move {
            let stream = timeout(HANDSHAKE, tls.meet(stream)).await?.inspect_err(|error| {
                tracing::debug!(%error, "no TLS was agreed on");
            })?;
            let peer = peer(&stream);
            Ok((stream, Extension(peer).layer(service)))
        })
    }
}

/// The first of the certificates is the client's own; those above it have served their purpose.
fn peer(stream: &TlsStream<TcpStream>) -> Peer {
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let names = shown.and_then(|certificate| ClientName::all_of(certificate));
    Peer { client: names.map(Arc::from) }
}
