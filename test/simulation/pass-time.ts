/** Lets time pass for one room alone: on real Redis, whose clock cannot be moved, and on the fake. */
import type { PerformanceData } from './memory-redis.ts';
import { SortedSet } from './sorted-set.ts';

/** All that a room remembers of time becomes so much earlier. KEYS: queue, active, seen. */
export const passTimeScript = `
local ms = tonumber(ARGV[1])
for _, field in ipairs({ 'at', 'sweptAt', 'saidAt', 'graceUntil', 'measuredFrom', 'opensAt' }) do
  local value = tonumber(redis.call('HGET', KEYS[1], field) or '') or 0
  if value > 0 then
    redis.call('HSET', KEYS[1], field, string.format('%.3f', value - ms))
  end
end
for i = 2, 3 do
  local all = redis.call('ZRANGE', KEYS[i], 0, -1, 'WITHSCORES')
  for k = 1, #all, 2 do
    redis.call('ZADD', KEYS[i], string.format('%.3f', tonumber(all[k + 1]) - ms), all[k])
  end
end
return 1`;

/** The same on the fake. */
export function passTime(data: PerformanceData, ms: number): void {
  const earlier = (moment: number): number => Number((moment - ms).toFixed(3));
  const orNever = (moment: number): number => (moment > 0 ? earlier(moment) : moment);
  const { queue } = data;
  if (queue !== null) {
    data.queue = {
      ...queue,
      at: orNever(queue.at),
      sweptAt: orNever(queue.sweptAt),
      saidAt: orNever(queue.saidAt),
      graceUntil: orNever(queue.graceUntil),
      measuredFrom: orNever(queue.measuredFrom),
      opensAt: orNever(queue.opensAt),
    };
  }
  for (const name of ['active', 'seen'] as const) {
    const moved = data[name].entries().map(({ member, score }) => ({ member, score: earlier(score) }));
    data[name] = new SortedSet(moved);
  }
}
