// Asks iam-simulate about policy/request pairs: node judge.mjs CASES VERDICTS, both of them files of JSON lines.
//
// A line in: {id, kind, principal, account, action, resource, context, identity, session, policy}, as the test `second_opinion` of
// crates/tagmint-iam writes it. A line out: {id, verdict}, or {id, error} where iam-simulate did not evaluate the pair as it was meant.

import { createReadStream, createWriteStream } from 'node:fs'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

import { anonymousPrincipal, runSimulation } from '@cloud-copilot/iam-simulate'

const VERDICTS = { Allowed: 'allowed', ExplicitlyDenied: 'explicit-deny', ImplicitlyDenied: 'implicit-deny' }

// What a caller of sts:AssumeRole brings: the trust policy alone is under test.
const MAY_ASSUME = { Version: '2012-10-17', Statement: { Effect: 'Allow', Action: 'sts:*', Resource: '*' } }

async function judge(pair) {
  const identity = pair.kind === 'trust' ? [MAY_ASSUME] : pair.identity
  const simulation = {
    request: {
      principal: pair.principal === 'anonymous' ? anonymousPrincipal : pair.principal,
      action: pair.action,
      resource: { resource: pair.resource, accountId: pair.account },
      contextVariables: pair.context
    },
    identityPolicies: identity.map((policy, index) => ({ name: String(index), policy })),
    sessionPolicy: pair.session ?? undefined,
    resourcePolicy: pair.policy ?? undefined,
    serviceControlPolicies: [],
    resourceControlPolicies: []
  }
  const answer = await runSimulation(simulation, {})
  if (answer.resultType !== 'single') {
    return { id: pair.id, error: JSON.stringify(answer.errors ?? answer.resultType) }
  }
  const ignored = answer.result.ignoredContextKeys ?? []
  if (ignored.length > 0) {
    return { id: pair.id, error: `context keys that the action does not have: ${ignored.join(', ')}` }
  }
  return { id: pair.id, verdict: VERDICTS[answer.overallResult] }
}

const [cases, verdicts] = process.argv.slice(2)
const out = createWriteStream(verdicts)
for await (const line of createInterface({ input: createReadStream(cases) })) {
  const pair = JSON.parse(line)
  let answer
  try {
    answer = await judge(pair)
  } catch (error) {
    answer = { id: pair.id, error: `iam-simulate threw: ${error.message}` }
  }
  out.write(`${JSON.stringify(answer)}\n`)
}
out.end()
await once(out, 'finish')
