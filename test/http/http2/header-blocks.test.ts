import { headerBlockAttacks } from './attacks/header-blocks.ts';

headerBlockAttacks('outrigger');
