/** Accounts: sign-up, log-in, log-out, balance. */
import type { Payments } from '../accounts/payments.ts';
import type { Revocations } from '../accounts/revocations.ts';
import type { Users } from '../accounts/users.ts';
import type { BalanceEntry } from '../domain/account.ts';
import { Code } from '../domain/codes.ts';
import { balanceMax, listEntries, readBalance } from '../persist/balances.ts';
import type { Database } from '../persist/database.ts';
import * as answers from './answers.ts';
import { mintToken } from './auth.ts';
import { invalid } from './body.ts';
import { type Answer, problem } from './reply.ts';
import type { Call, Route } from './route.ts';
import {
  type ChargeBody,
  chargeBody,
  type HistoryQuery,
  historyQuery,
  type SessionBody,
  sessionBody,
  type UserBody,
  userBody,
} from './schemas.ts';

export interface AccountRoutesOptions {
  readonly users: Users;
  readonly revocations: Revocations;
  readonly payments: Payments;
  readonly database: Database;
  readonly jwtSecret: string;
}

const sessionSeconds = 12 * 3600;
const limitDefault = 20;

const emailTaken = problem({ code: Code.emailTaken, detail: 'There is an account with this e-mail address.' });
const refused = problem({ code: Code.unauthorized, detail: 'The e-mail address or the password is wrong.' });
const tooMuch = problem(invalid('/amount', `would make the balance more than ${balanceMax}`));

function entryView({ id, type, amount, balance, reservationId, atMs }: BalanceEntry): answers.BalanceEntryView {
  const at = new Date(atMs).toISOString();
  return { id, type, amount, balance, ...(reservationId === null ? {} : { reservationId }), at };
}

export function accountRoutes(options: AccountRoutesOptions): Route[] {
  const { users, revocations, payments, database, jwtSecret } = options;

  async function signUp(call: Call): Promise<Answer> {
    const { email, password, name } = call.body as UserBody;
    const user = await users.signUp(email, password, name ?? null);
    return user === null ? emailTaken : { status: 201, value: user, headers: [['cache-control', 'no-store']] };
  }

  async function logIn(call: Call): Promise<Answer> {
    const { email, password } = call.body as SessionBody;
    const result = await users.logIn(email, password, call.address);
    if (result.kind === 'refused') return refused;
    if (result.kind === 'wait') {
      const seconds = Math.ceil(result.waitMs / 1000);
      const answer = problem({ code: Code.rateLimited, detail: `Too many attempts; wait ${seconds} s.` });
      return { ...answer, headers: [['retry-after', String(seconds)]] };
    }
    const { userId, role } = result;
    const expiresAt = new Date((Math.floor(Date.now() / 1000) + sessionSeconds) * 1000).toISOString();
    const accessToken = mintToken(jwtSecret, userId, role, sessionSeconds);
    return { status: 201, value: { accessToken, expiresAt, userId, role }, headers: [['cache-control', 'no-store']] };
  }

  async function logOut(call: Call): Promise<Answer> {
    const { tokenId, endsAtMs } = call.identity;
    await revocations.revoke({ tokenId, endsAtMs });
    return { status: 204 };
  }

  async function chargeBalance(call: Call): Promise<Answer> {
    const { amount } = call.body as ChargeBody;
    const balance = await payments.charge(call.identity.userId, amount, call.newId);
    return balance === null ? tooMuch : { status: 201, value: { balance } };
  }

  async function balance(call: Call): Promise<Answer> {
    return { status: 200, value: { balance: await readBalance(database, call.identity.userId) } };
  }

  async function history(call: Call): Promise<Answer> {
    const { cursor, limit: asked } = call.query as HistoryQuery;
    const limit = asked === undefined ? limitDefault : Number(asked);
    const before = cursor === undefined ? null : Number(cursor);
    const entries = await listEntries(database, call.identity.userId, before, limit + 1);
    const page = entries.slice(0, limit);
    const next = entries.length > limit ? String(page.at(-1)?.id) : null;
    return { status: 200, value: { items: page.map(entryView), next } };
  }

  return [
    {
      method: 'post',
      path: '/v1/users',
      operationId: 'signUp',
      tag: 'Accounts',
      summary: 'Sign up',
      auth: 'none',
      body: userBody,
      success: [{ status: 201, description: 'The user', answer: answers.user }],
      codes: [Code.emailTaken, Code.overloaded],
      handle: signUp,
    },
    {
      method: 'post',
      path: '/v1/sessions',
      operationId: 'logIn',
      tag: 'Accounts',
      summary: 'Log in',
      auth: 'none',
      body: sessionBody,
      needsAddress: true,
      success: [{ status: 201, description: 'A token for `Authorization: Bearer`', answer: answers.session }],
      codes: [Code.unauthorized, Code.rateLimited, Code.overloaded],
      handle: logIn,
    },
    {
      method: 'delete',
      path: '/v1/sessions/current',
      operationId: 'logOut',
      tag: 'Accounts',
      summary: 'Log out: the token is refused within a second, everywhere',
      auth: 'user',
      success: [{ status: 204, description: 'Refused from now on' }],
      codes: [],
      handle: logOut,
    },
    {
      method: 'post',
      path: '/v1/balance/charges',
      operationId: 'chargeBalance',
      tag: 'Accounts',
      summary: 'Put money on the balance',
      auth: 'user',
      body: chargeBody,
      isCreating: true,
      success: [{ status: 201, description: 'The balance after it', answer: answers.balance }],
      codes: [Code.overloaded],
      handle: chargeBalance,
    },
    {
      method: 'get',
      path: '/v1/balance',
      operationId: 'readBalance',
      tag: 'Accounts',
      summary: "The caller's balance",
      auth: 'user',
      success: [{ status: 200, description: 'The balance', answer: answers.balance }],
      codes: [],
      handle: balance,
    },
    {
      method: 'get',
      path: '/v1/balance/history',
      operationId: 'listBalanceHistory',
      tag: 'Accounts',
      summary: 'Every change of the balance, newest first',
      auth: 'user',
      query: historyQuery,
      success: [{ status: 200, description: 'A page', answer: answers.balanceHistory }],
      codes: [],
      handle: history,
    },
  ];
}
