export {
  entriesOf,
  type FormFault,
  type FormNode,
  fieldsOf,
  isMapping,
  jsonOf,
  listOf,
  numberOf,
  parseForm,
  textOf,
  truthOf,
  wrong,
} from './form.ts';
