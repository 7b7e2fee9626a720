#!/bin/sh
# Puts what the final image stage adds to its base into a folder: the pinned Node with the library that the base lacks,
# and the bundle. The image's Dockerfile runs it, and a test that runs the result in a bare root folder.
#   scripts/assemble-image.sh FOLDER       after npm ci and npm run build
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
image=$1
case $(uname -m) in
  x86_64) arch=x64 triplet=x86_64-linux-gnu ;;
  aarch64) arch=arm64 triplet=aarch64-linux-gnu ;;
  *) echo "no image for $(uname -m)" >&2; exit 1 ;;
esac
mkdir -p "$image/outrigger/bin" "$image/etc/outrigger/filters" "$image/usr/lib/$triplet"
cp "$root/node_modules/node-linux-$arch/bin/node" "$image/outrigger/bin/node"
cp -L "/usr/lib/$triplet/libatomic.so.1" "$image/usr/lib/$triplet/libatomic.so.1"
cp -R "$root/dist" "$root/examples" "$root/package.json" "$root/LICENSE" "$image/outrigger/"
# Under a name that ENTRYPOINT can say: it was made by the same Node.
mv "$image"/outrigger/dist/run-*.snapshot "$image/outrigger/dist/run.snapshot"
chmod -R a+rX "$image/outrigger" "$image/etc/outrigger"
