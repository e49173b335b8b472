// A real OpenID provider on loopback, for tests: `npm ci && node provider.mjs [PORT]` prints its
// issuer to stdout as soon as it answers, and nothing else ever. The issuer is what the tests want in
// RUNBOOK_TEST_OIDC. Whoever types a name is that person, with any password; `oncall` is in groups.

import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const GROUPS = { oncall: ['sre-oncall', 'everyone'] };
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';

// The provider talks about its defaults; that is not data.
console.info = console.error;

const server = createServer();
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      client('runbook', { client_secret: 'p/ss:w+rd%20&=x', token_endpoint_auth_method: 'client_secret_basic' }),
      client('runbook-post', { client_secret: 'a-secret', token_endpoint_auth_method: 'client_secret_post' }),
      client('runbook-public', { token_endpoint_auth_method: 'none' }),
    ],
    claims: {
      openid: ['sub'],
      profile: ['preferred_username', 'name'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        preferred_username: id,
        email: `${id}@example.com`,
        email_verified: true,
        groups: GROUPS[id] ?? [],
      }),
    }),
    features: {
      deviceFlow: { enabled: true },
      devInteractions: { enabled: true },
    },
    cookies: { keys: ['not a secret: this provider lives as long as a test'] },
  });
  server.on('request', provider.callback());
  console.log(issuer);
});

function client(id, proof) {
  return {
    client_id: id,
    // A program on loopback, whose port is not known before it listens (RFC 8252, section 7.3).
    application_type: 'native',
    redirect_uris: ['http://127.0.0.1/login/callback'],
    grant_types: ['authorization_code', DEVICE],
    response_types: ['code'],
    id_token_signed_response_alg: 'RS256',
    ...proof,
  };
}
