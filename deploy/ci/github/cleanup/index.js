// Runs twice: as a step, where it only notes that it did, and at the end of the job, where it takes the credentials away.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const SECRETS = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'];
const POINTERS = ['AWS_SHARED_CREDENTIALS_FILE', 'TAGMINT_CREDENTIALS_FILE'];

/** Appends to the file that the runner reads after this program: GITHUB_STATE or GITHUB_ENV. */
function tell(variable, lines) {
  const file = process.env[variable];
  if (!file) throw new Error(`${variable} is not set: this runs on a GitHub runner`);
  fs.appendFileSync(file, lines.map((line) => `${line}\n`).join(''));
}

/** Removes the file of assume_ci_role.sh, and its directory where the script made one. */
function removeFile(file) {
  if (!fs.existsSync(file)) return;
  fs.truncateSync(file);
  fs.unlinkSync(file);
  const directory = path.dirname(file);
  if (path.basename(directory).startsWith('tagmint-') && fs.readdirSync(directory).length === 0) fs.rmdirSync(directory);
  console.log(`cleanup: removed ${file}`);
}

function cleanUp() {
  const file = process.env.TAGMINT_CREDENTIALS_FILE;
  if (file) removeFile(file);
  const names = SECRETS.concat(file ? POINTERS : []).filter((name) => process.env[name]);
  // A variable cannot be taken back from the steps that are left, only emptied.
  tell('GITHUB_ENV', names.map((name) => `${name}=`));
  if (names.length > 0) console.log(`cleanup: emptied ${names.join(', ')}`);
}

try {
  // What the first run saves, the runner gives to the second as STATE_….
  if (process.env.STATE_tagmint_cleanup === 'due') cleanUp();
  else tell('GITHUB_STATE', ['tagmint_cleanup=due']);
} catch (error) {
  console.log(`::error title=cleanup::${error.message}`);
  process.exitCode = 1;
}
