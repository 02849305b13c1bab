/** `k6/execution`. */
import { strict } from '../strict.ts';
import { state, type Turn } from '../vu-state.ts';

function turn(): Turn {
  if (state.turn === null) throw new Error('there is a scenario in VU code alone');
  return state.turn;
}

const vu = strict('exec.vu', {
  get idInTest(): number {
    return turn().vu;
  },
});

const scenario = strict('exec.scenario', {
  get iterationInTest(): number {
    return turn().iterationInTest;
  },
});

export default strict('k6/execution', { vu, scenario });
