// Shows what a template looks like, with sample data.

import { refuse } from '@millrace/chassis/api/errors';
import { type Kind, KINDS } from './notification.ts';
import type { Mail, Renderer } from './templates/render.ts';
import { sampleLetter } from './templates/samples.ts';

export function previewTemplate(renderer: Renderer, template: string, locale: string): Mail & { sms: string } {
  if (!isKind(template)) throw refuse('INVALID_FIELD', `there is no such template; there are: ${Object.keys(KINDS).join(', ')}`, { field: 'template' });
  const letter = sampleLetter(template, locale);
  return { ...renderer.mail(letter), sms: renderer.sms(letter) };
}

function isKind(name: string): name is Kind {
  return Object.hasOwn(KINDS, name);
}
