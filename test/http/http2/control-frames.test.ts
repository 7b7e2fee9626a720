import { controlFrameAttacks } from './attacks/control-frames.ts';

controlFrameAttacks('outrigger');
