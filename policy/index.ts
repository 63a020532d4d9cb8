import { PolicyPack } from '@pulumi/policy';
import { policies } from './pack';

new PolicyPack('switchyard', { description: "Switchyard's rules", policies: [...policies] });
