import { describe, test } from 'vitest';
import { controlFrameAttacks } from '../../http/http2/attacks/control-frames.ts';
import { dataFrameAttacks } from '../../http/http2/attacks/data-frames.ts';
import { headerBlockAttacks } from '../../http/http2/attacks/header-blocks.ts';
import { resetAttacks } from '../../http/http2/attacks/resets.ts';
import { windowAttacks } from '../../http/http2/attacks/windows.ts';
import { findEnvoy, NO_ENVOY } from '../../support/envoy.ts';

/** The attacks that Outrigger has to stand, on Envoy: what they expect is not made up. */
describe('Envoy under attack', () => {
  if (findEnvoy() === undefined) {
    test('stands', (context) => context.skip(NO_ENVOY));
    return;
  }
  resetAttacks('envoy');
  headerBlockAttacks('envoy');
  controlFrameAttacks('envoy');
  dataFrameAttacks('envoy');
  windowAttacks('envoy');
});
