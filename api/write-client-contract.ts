// `npm run generate:client`: writes shared/client/contract.ts anew from the OpenAPI document. Run it after a change of a
// route or a schema; a test says when it is due.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRegistry } from '../models/registry.ts';
import { packageRoot, readConfig } from '../shared/config.ts';
import { renderContract } from './client-contract.ts';
import { createOpenApi } from './openapi.ts';

const document: unknown = JSON.parse(JSON.stringify(createOpenApi(createRegistry(readConfig().MODELS_DIR))));
writeFileSync(join(packageRoot, 'shared/client/contract.ts'), renderContract(document));
console.log('shared/client/contract.ts is up to date');
