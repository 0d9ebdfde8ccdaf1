# One image for every process; the command says which one. TypeScript runs as it is, so there is nothing to build.
FROM node:26-slim
WORKDIR /app
ENV NODE_ENV=production NODE_COMPILE_CACHE=/app/node_modules/.cache/millrace-compile MALLOC_ARENA_MAX=1 NODE_OPTIONS="--max-semi-space-size=16 --max-old-space-size=512"
COPY . .
# Development dependencies stay: generating the database clients needs them, and the image is the same for the one-shots.
RUN node local/bootstrap.mjs setup && npm cache clean --force
# A new volume takes over owner and rights of the folder it covers.
RUN mkdir -p /data node_modules/.cache && chown node:node /data node_modules/.cache
USER node
# By the user that runs it, because the compile cache is each user's own.
RUN node local/src/compile-ahead.ts
CMD ["node", "edge/src/main.ts"]
