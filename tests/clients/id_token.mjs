// The token that `core.getIDToken(AUDIENCE)` gives an action. Arguments: [AUDIENCE]. The last line of stdout is JSON.
import * as core from '@actions/core';

const [audience] = process.argv.slice(2);
try {
  console.log(JSON.stringify({ token: await core.getIDToken(audience) }));
} catch (error) {
  console.log(JSON.stringify({ error: error.message }));
}
