import { ledgerContract } from '../../test/ledger.contract.ts';
import { openMysqlLedger } from '../../test/mysql-ledger.ts';

ledgerContract('MySQL', openMysqlLedger);
