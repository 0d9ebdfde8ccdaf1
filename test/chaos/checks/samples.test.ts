import { createValidator } from '@bufbuild/protovalidate';
import { describe, expect, test } from 'vitest';
import { SERVICES } from '../../../edge/src/routes.ts';
import { sampleOf, textFieldsOf } from './samples.ts';

const validator = createValidator();

describe.each(SERVICES.flatMap(({ typeName, methods }) => methods.map((method) => [`${typeName}.${method.name}`, method] as const)))('%s', (_name, { input }) => {
  test('has a sample that its contract allows', () => {
    expect(validator.validate(input, sampleOf(input))).toMatchObject({ kind: 'valid' });
  });

  test('finds each of its texts by its path', () => {
    for (const { path, set } of textFieldsOf(input)) {
      const request = sampleOf(input);
      set(request, 'needle');
      expect(JSON.stringify(request, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value)), path).toContain('needle');
    }
  });
});
