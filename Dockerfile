# Debian and not Alpine: the binaries of uWebSockets.js need glibc.
FROM node:22-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# The versions of the lock file; why not `npm ci` stands in scripts/setup.js. Nothing that runs here needs an install script.
RUN npm install --omit=dev --no-save --ignore-scripts --no-audit --no-fund --loglevel=error
# uWebSockets.js carries a binary for every platform and Node, 130 MB in all; one is loaded.
RUN find node_modules/uWebSockets.js/dist/bin -type f \
  ! -name "uws_$(node -p 'process.platform')_$(node -p 'process.arch')_$(node -p 'process.versions.modules').node" -delete

FROM node:22-bookworm-slim
# Process 1 of the container: hands signals on, and reaps what the workers leave behind.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends tini \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
ENV NODE_ENV=production
COPY --from=packages /app/node_modules ./node_modules
COPY package.json ./
COPY public ./public
COPY src ./src
# The user `node` of the base image, by number, so that Kubernetes can see it is not root.
USER 1000:1000
EXPOSE 3000
STOPSIGNAL SIGTERM
# Of the process alone: a container is not to be restarted because a store is away. It listens once both stores answered,
# for which it waits a quarter of a minute.
HEALTHCHECK --interval=10s --timeout=3s --start-period=40s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 3000) + '/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/usr/bin/tini", "--"]
# As `npm start`, without npm: that would stand between tini and the gateway, and be one process more.
CMD ["node", "--max-semi-space-size=64", "src/main.ts"]
