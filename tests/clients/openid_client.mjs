// What openid-client does with an issuer. Input (stdin): {"issuer", "id_token", "role", "client_secret", "other_secret"}. Output: JSON.
import { readFileSync } from 'node:fs';
import * as client from 'openid-client';

const input = JSON.parse(readFileSync(0, 'utf8'));
const issuer = new URL(input.issuer);
const anonymous = await client.discovery(issuer, 'openid-client', undefined, client.None());
const basic = await client.discovery(issuer, 'openid-client', undefined, client.ClientSecretBasic(input.client_secret));
const post = await client.discovery(issuer, 'openid-client', undefined, client.ClientSecretPost(input.client_secret));

const exchange = () => client.genericGrantRequest(anonymous, 'urn:ietf:params:oauth:grant-type:token-exchange',
  { subject_token: input.id_token, subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', resource: input.role });

const output = { exchanged: await exchange() };
try {
  await exchange();
} catch (error) {
  output.second_exchange = { name: error.constructor.name, error: error.error, type: error.cause?.type };
}
output.basic = await client.clientCredentialsGrant(basic, { audience: 'https://other.example' });
output.post = await client.clientCredentialsGrant(post, { audience: 'https://other.example' });
output.minted = await client.tokenIntrospection(basic, output.exchanged.access_token);
output.before = await client.tokenIntrospection(basic, input.other_secret);
await client.tokenRevocation(basic, input.other_secret);
output.after = await client.tokenIntrospection(basic, input.other_secret);
console.log(JSON.stringify(output));
