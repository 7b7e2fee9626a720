import { resetAttacks } from './attacks/resets.ts';

resetAttacks('outrigger');
