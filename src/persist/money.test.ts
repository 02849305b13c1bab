import { expect, inject, it } from 'vitest';
import { moneyContract } from '../../test/money-ledger.contract.ts';
import { openMysqlLedger } from '../../test/mysql-ledger.ts';
import { newReservationId } from '../domain/ids.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import { silentLog } from '../logger.ts';
import { Database } from './database.ts';
import { MysqlMoney } from './money.ts';

// More at once than any gateway would: what keeps the books right must be MySQL, not a queue in front of it.
moneyContract('MySQL', () => openMysqlLedger({ connectionsMax: 30 }));

it('every question of money says so when MySQL does not answer', async () => {
  const url = new URL(inject('mysqlUrl'));
  url.port = '1';
  const away = new Database(url.href, silentLog);
  const money = new MysqlMoney(away);
  const id = newReservationId();
  try {
    for (const act of [
      () => money.pay(id, 1),
      () => money.charge(1, 1, id),
      () => money.cancelHeld(id),
      () => money.refund(id),
      () => money.readRefunded(id),
    ]) {
      await expect(act()).rejects.toThrow(StoreUnavailable);
    }
  } finally {
    await away.close();
  }
});
