//! Certificates for tests: an authority, and what it vouches for.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use reqwest::{Certificate, ClientBuilder, Identity};

use crate::project::Project;

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, both in PEM.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

/// Whom a certificate is for.
#[derive(Default)]
pub struct Subject<'a> {
    pub common_name: &'a str,
    pub dns: &'a [&'a str],
    pub uri: &'a [&'a str],
    pub expired: bool,
    /// For servers, in the place of clients.
    pub server: bool,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a server on loopback.
    pub fn server(&self) -> Pair {
        self.vouch(&Subject { common_name: "runbook", server: true, ..Subject::default() })
    }

    pub fn vouch(&self, subject: &Subject<'_>) -> Pair {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, subject.common_name);
        let dns = subject.dns.iter().map(|name| SanType::DnsName((*name).try_into().unwrap()));
        let uri = subject.uri.iter().map(|name| SanType::URI((*name).try_into().unwrap()));
        params.subject_alt_names = dns.chain(uri).collect();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if subject.server {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
        }
        if subject.expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        Pair { certificate: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }

    /// A program that trusts this authority and no other.
    pub fn trusting(&self) -> ClientBuilder {
        let own = Certificate::from_pem(self.pem().as_bytes()).unwrap();
        let builder = reqwest::Client::builder().tls_certs_only([own]).no_proxy();
        builder.redirect(reqwest::redirect::Policy::none()).tls_info(true)
    }
}

impl Pair {
    /// Puts it where the server looks for its own.
    pub fn keep(&self, project: &Project) {
        project.write("tls.pem", &self.certificate);
        project.write("tls.key", &self.key);
        protect(project, "tls.key", 0o600);
    }

    pub fn der(&self) -> Vec<u8> {
        use base64::Engine as _;
        let lines = self.certificate.lines().filter(|line| !line.starts_with('-'));
        base64::engine::general_purpose::STANDARD.decode(lines.collect::<String>()).unwrap()
    }

    pub fn identity(&self) -> Identity {
        Identity::from_pem(format!("{}{}", self.certificate, self.key).as_bytes()).unwrap()
    }
}

pub fn protect(project: &Project, file: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(project.path(file), std::fs::Permissions::from_mode(mode)).unwrap();
}
