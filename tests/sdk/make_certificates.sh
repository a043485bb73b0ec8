#!/usr/bin/env bash
# make_certificates.sh FOLDER: certificates for a day, for tests of TLS:
#   ca.pem          signed server.{pem,key} (localhost, 127.0.0.1) and client.{pem,key}
#   other-ca.pem    signed nothing of these but other-client.{pem,key}
set -euo pipefail
mkdir -p "$1"
cd "$1"

authority() { # NAME
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj "/CN=$1" \
    -addext basicConstraints=critical,CA:TRUE -keyout "$1.key" -out "$1.pem" 2>/dev/null
}
certificate() { # NAME AUTHORITY [SUBJECT-ALTERNATIVE-NAMES]
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.csr" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days 1 -out "$1.pem" \
    -extfile <(printf '%s\n' "${3:+subjectAltName=$3}") 2>/dev/null
}

authority ca
authority other-ca
certificate server ca DNS:localhost,IP:127.0.0.1
certificate client ca
certificate other-client other-ca
