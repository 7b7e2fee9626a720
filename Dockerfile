# syntax=docker/dockerfile:1
# Builds for linux/amd64 and linux/arm64: docker buildx build --platform linux/amd64,linux/arm64 .

FROM node:22-bookworm-slim AS build
# libatomic is what the pinned Node links and neither this image nor the final one has.
RUN apt-get update && apt-get install -y --no-install-recommends libatomic1 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build && sh scripts/assemble-image.sh /image

# glibc and libstdc++, no shell, no package manager.
FROM gcr.io/distroless/cc-debian12
COPY --from=build /image/ /
# The uid that the interception rules of a mesh leave alone.
USER 1337:1337
# Admin, outbound and inbound capture, health, Prometheus.
EXPOSE 15000 15001 15006 15021 15090
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s --retries=3 \
  CMD ["/outrigger/bin/node", "/outrigger/dist/outrigger.js", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/outrigger/bin/node", "--disable-warning=ExperimentalWarning", "--min-semi-space-size=2", "--max-semi-space-size=16", "--snapshot-blob", "/outrigger/dist/run.snapshot", "/outrigger/dist/outrigger.js"]
CMD ["run", "-c", "/etc/outrigger/sidecar.yaml", "--watch", "--filter-dir", "/etc/outrigger/filters"]
