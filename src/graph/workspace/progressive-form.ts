import { type FormNode, fieldsOf, isMapping, textOf, truthOf, wrong } from '../../form/index.ts';
import type { ProgressiveForm, StepForm } from '../types.ts';
import { filled, labelOf, measureOf } from './gate-form.ts';
import { durationOf } from './time-form.ts';

const ruleKeys = ['services', 'steps', 'whole'] as const;
/** RFC 1123 label, as the name of a Job that labels its pods. */
const jobName = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** `progressive` of an environment: by which shares of the replicas releases come in; for all services, or a list of rules. */
export function progressiveOf(form: FormNode): readonly ProgressiveForm[] {
  if (isMapping(form)) return [ruleOf(form)];
  const rules = filled(form);
  rules.forEach((each, index) => {
    // What follows one that is about all services would never be looked at.
    if (index < rules.length - 1 && fieldsOf(each, ruleKeys).services === undefined) {
      throw wrong(each, 'is about all services, and others follow', 'put it last, or name its services');
    }
  });
  return rules.map(ruleOf);
}

function ruleOf(form: FormNode): ProgressiveForm {
  const { services, steps, whole } = fieldsOf(form, ruleKeys);
  const named = services && {
    services: filled(services).map((each) => labelOf(each, 'the label of a service: //bank/ledger')),
  };
  if (whole !== undefined) {
    if (steps !== undefined) throw wrong(whole, 'and steps exclude each other', 'leave one of them out');
    if (!truthOf(whole)) throw wrong(whole, 'is true, or left out', 'add steps: [{ share: 10%, for: 5m }]');
    return { ...named, steps: [], place: form.place };
  }
  return { ...named, steps: stepsOf(form, steps), place: form.place };
}

function stepsOf(form: FormNode, steps: FormNode | undefined): readonly StepForm[] {
  if (steps === undefined) throw wrong(form, 'steps is missing', 'add steps: [{ share: 10%, for: 5m }]');
  let before = 0;
  return filled(steps).map((each): StepForm => {
    const step = stepOf(each);
    if (step.share <= before) {
      throw wrong(each, `${step.share}% is not more than the ${before}% before`, 'let shares grow from step to step');
    }
    before = step.share;
    return step;
  });
}

function stepOf(form: FormNode): StepForm {
  const { share, for: lasts, check } = fieldsOf(form, ['share', 'for', 'check']);
  if (share === undefined) throw wrong(form, 'share is missing', 'add share: 10%');
  if (lasts === undefined) throw wrong(form, 'for is missing', 'add for: 5m');
  const percent = Number.parseInt(textOf(share, /^[1-9][0-9]?%$/, 'a share from 1% to 99%'), 10);
  return { share: percent, lasts: durationOf(lasts), ...(check !== undefined && { check: checkOf(check) }) };
}

function checkOf(form: FormNode): NonNullable<StepForm['check']> {
  const { metric, job } = fieldsOf(form, ['metric', 'job']);
  if ((metric === undefined) === (job === undefined)) {
    throw wrong(form, 'needs one of metric and job', 'add job: the name of a verification job');
  }
  if (job !== undefined) return { kind: 'job', name: textOf(job, jobName, 'the name of a verification job') };
  const fields = metric as FormNode;
  if (!isMapping(fields)) throw wrong(fields, 'must hold url, query and at_most or at_least');
  return { kind: 'metric', ...measureOf(fields, fieldsOf(fields, ['url', 'query', 'at_most', 'at_least'])) };
}
