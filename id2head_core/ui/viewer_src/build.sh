#!/bin/sh
# Builds ../static/id2head.mjs from the sources of this folder (needs Node; the app itself does not).
set -e
cd "$(dirname "$0")"
npm ci --silent
npm run --silent build
cp node_modules/three/LICENSE ../static/LICENSE-three.txt
