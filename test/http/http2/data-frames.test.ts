import { dataFrameAttacks } from './attacks/data-frames.ts';

dataFrameAttacks('outrigger');
