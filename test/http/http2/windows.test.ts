import { windowAttacks } from './attacks/windows.ts';

windowAttacks('outrigger');
