/** Part of an action's key: goes up whenever `makeImage` gives another image for the same request. */
export const imageVersion = '5';

/** The same of the image that a Dockerfile describes. */
export const dockerfileImageVersion = '5';

/** The same of the layer of a .deb. */
export const debianLayerVersion = '3';
