# ciphertrail: "run" as it is, any other command by its name after the image. Nothing in it needs to be written to but /data.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Node 24 is here already: the scripts would only fetch another one.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-slim
ENV NODE_ENV=production CIPHERTRAIL_STORE=/data/store CIPHERTRAIL_KEY=/data/log.key
WORKDIR /app
COPY --from=build /app/node_modules ./node_modules
COPY package.json LICENSE CHANGELOG.md ./
COPY bin ./bin
COPY cli ./cli
COPY lib ./lib
COPY infra ./infra
COPY demo ./demo
# The user "node" of the base image, by number, so that Kubernetes can tell that it is not root.
RUN install -d -m 0700 -o 1000 -g 1000 /data
USER 1000:1000
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["node", "-e", "fetch('http://127.0.0.1:8080/health').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/bin/ciphertrail.js"]
CMD ["run", "--listen", "0.0.0.0:8080", "--token-file", "/run/secrets/tokens", "--log", "json"]
