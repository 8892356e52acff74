// What oauth4webapi does with an issuer. Input (stdin): {"issuer", "id_token", "role", "client_secret", "other_secret"}. Output: JSON.
import { readFileSync } from 'node:fs';
import * as oauth from 'oauth4webapi';

const input = JSON.parse(readFileSync(0, 'utf8'));
const issuer = new URL(input.issuer);
const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer));
const client = { client_id: 'oauth4webapi' };
const basic = oauth.ClientSecretBasic(input.client_secret);
const post = oauth.ClientSecretPost(input.client_secret);

async function exchange() {
  const response = await oauth.genericTokenEndpointRequest(
    server, client, oauth.None(), 'urn:ietf:params:oauth:grant-type:token-exchange',
    { subject_token: input.id_token, subject_token_type: 'urn:ietf:params:oauth:token-type:id_token', resource: input.role });
  return oauth.processGenericTokenEndpointResponse(server, client, response);
}

async function introspect(token) {
  return oauth.processIntrospectionResponse(server, client, await oauth.introspectionRequest(server, client, basic, token));
}

const output = { exchanged: await exchange() };
try {
  await exchange();
} catch (error) {
  output.second_exchange = { name: error.constructor.name, error: error.error, type: error.cause?.type };
}
for (const [name, authentication] of [['basic', basic], ['post', post]]) {
  const response = await oauth.clientCredentialsGrantRequest(server, client, authentication, { audience: 'https://other.example' });
  output[name] = await oauth.processClientCredentialsResponse(server, client, response);
}
output.minted = await introspect(output.exchanged.access_token);
output.before = await introspect(input.other_secret);
await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, basic, input.other_secret));
output.after = await introspect(input.other_secret);
console.log(JSON.stringify(output));
