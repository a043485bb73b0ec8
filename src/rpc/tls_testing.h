#pragma once

// Certificates and a TLS client for tests.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "base/check.h"

namespace vectron::rpc {

// A key and a certificate for "localhost" and 127.0.0.1, signed by `issuer` or by itself.
class TestCertificate {
 public:
  explicit TestCertificate(const std::string& name, const TestCertificate* issuer = nullptr)
      : key_(EVP_EC_gen("P-256"), EVP_PKEY_free), certificate_(X509_new(), X509_free) {
    static long serial = 1;  // of this test program
    X509* const x = certificate_.get();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3'600);
    X509_set_pubkey(x, key_.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    const TestCertificate& signer = issuer == nullptr ? *this : *issuer;
    X509_set_issuer_name(x, X509_get_subject_name(signer.certificate_.get()));
    Extend(NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "critical,CA:FALSE");
    Extend(NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    CHECK(X509_sign(x, signer.key_.get(), EVP_sha256()) > 0);
  }

  void Write(const std::string& certificate_path, const std::string& key_path) const {
    std::FILE* file = std::fopen(certificate_path.c_str(), "w");
    CHECK(file != nullptr);
    CHECK_EQ(PEM_write_X509(file, certificate_.get()), 1);
    std::fclose(file);
    if (key_path.empty()) return;
    file = std::fopen(key_path.c_str(), "w");
    CHECK(file != nullptr);
    CHECK_EQ(PEM_write_PrivateKey(file, key_.get(), nullptr, nullptr, 0, nullptr, nullptr), 1);
    std::fclose(file);
  }
  X509* certificate() const { return certificate_.get(); }
  EVP_PKEY* key() const { return key_.get(); }

 private:
  void Extend(int nid, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    CHECK(extension != nullptr);
    X509_add_ext(certificate_.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }

  std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key_;
  std::unique_ptr<X509, void (*)(X509*)> certificate_;
};

// Blocking, for one connection.
class TlsClient {
 public:
  // Trusts `trusted` alone; shows `own` when asked, if given.
  TlsClient(uint16_t port, const TestCertificate& trusted, const TestCertificate* own = nullptr)
      : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free),
        fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), trusted.certificate());
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    if (own != nullptr) {
      CHECK_EQ(SSL_CTX_use_certificate(context_.get(), own->certificate()), 1);
      CHECK_EQ(SSL_CTX_use_PrivateKey(context_.get(), own->key()), 1);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    CHECK_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ssl_ = SSL_new(context_.get());
    SSL_set_fd(ssl_, fd_);
    connected_ = SSL_connect(ssl_) == 1;
    ERR_clear_error();
  }
  ~TlsClient() {
    SSL_free(ssl_);
    ::close(fd_);
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  bool connected() const { return connected_; }
  // Sends a request and reads the answer with its Content-Length; "" when the connection ends
  // first.
  std::string Ask(std::string_view request) {
    size_t sent = 0;
    while (sent < request.size()) {
      const int size =
          SSL_write(ssl_, request.data() + sent, static_cast<int>(request.size() - sent));
      if (size <= 0) return {};
      sent += static_cast<size_t>(size);
    }
    std::string text;
    size_t want = std::string::npos;
    while (text.size() < want) {
      char chunk[16384];
      const int size = SSL_read(ssl_, chunk, sizeof chunk);
      if (size <= 0) return {};
      text.append(chunk, static_cast<size_t>(size));
      const size_t end = text.find("\r\n\r\n");
      const size_t length = text.find("Content-Length: ");
      if (end != std::string::npos && length < end)
        want = end + 4 + std::stoul(text.substr(length + 16));
    }
    return text;
  }

 private:
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  const int fd_;
  SSL* ssl_ = nullptr;
  bool connected_ = false;
};

}  // namespace vectron::rpc
