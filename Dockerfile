# One image for every process; the command says which one. TypeScript runs as it is, so there is nothing to build.
FROM node:24-slim
WORKDIR /app
ENV NODE_ENV=production MALLOC_ARENA_MAX=1 NODE_OPTIONS="--max-semi-space-size=8 --max-old-space-size=512"
COPY . .
# Development dependencies stay: generating the database clients needs them, and the image is the same for the one-shots.
RUN node local/bootstrap.mjs setup && npm cache clean --force
# A new volume takes over owner and rights of the folder it covers.
RUN mkdir /data && chown node:node /data
USER node
CMD ["node", "edge/src/main.ts"]
