# SPDX-License-Identifier: Apache-2.0
#
#   docker build -t skbpath --build-arg VERSION=$(git describe --tags --always) .
FROM golang:1.26.8-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends libpcap-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
ARG REVISION=unknown
RUN make build VERSION="$VERSION" REVISION="$REVISION"

# Nothing but the program, and whom it trusts when it exports traces over TLS.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/bin/skbpath /skbpath
EXPOSE 10199
ENTRYPOINT ["/skbpath"]
