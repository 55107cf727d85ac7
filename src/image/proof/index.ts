export { attachBundle, attachStatements } from './attach.ts';
export { formatBundle, maximumBundle, parseBundle } from './bundle.ts';
export { collectProofs } from './collect.ts';
export { intotoPayload, signEnvelope, signersOf } from './dsse.ts';
export { ProofFault } from './fault.ts';
export { generateKeys, type KeyPair } from './keys/generate.ts';
export { type OpenKeyOptions, openSigner, passwordIn } from './keys/open.ts';
export { type PublicKey, parsePublicKey, publicKeyPem } from './keys/public-key.ts';
export type { Signer } from './keys/signer.ts';
export type { Policy } from './policy.ts';
export type { Proof } from './proof.ts';
export { type BuildFacts, provenanceOf, type Source, unnamedBuilder } from './provenance.ts';
export { readPolicy } from './read-policy.ts';
export { openProofRepository, type ProofRepository } from './referrers.ts';
export { type Review, reviewStatement } from './review.ts';
export { billOfMaterials } from './sbom/bill.ts';
export { type Inventory, takeInventory } from './sbom/inventory.ts';
export { type LayerContents, layerContentsFormat } from './sbom/layer-contents.ts';
export { debianPurl, type Module, type ModuleArchive, modulePurl, sumsOfIntegrity } from './sbom/module.ts';
export { packageUrl } from './sbom/package-url.ts';
export {
  formatStatement,
  parseStatement,
  predicateTypes,
  type ResourceDescriptor,
  type Statement,
} from './statement.ts';
export { tagStatements } from './tagged.ts';
export { type Check, refusal, type Verdict, type VerifyRequest, verifyImage } from './verify.ts';
