import { openMysqlLedger } from '../../test/mysql-ledger.ts';
import { roomLedgerContract } from '../../test/room-ledger.contract.ts';

roomLedgerContract('MySQL', openMysqlLedger);
