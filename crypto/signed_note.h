// Signed notes and log checkpoints as other tools read them (C2SP signed-note and tlog-checkpoint):
//   <text, ends with a newline>
//   <blank line>
//   — <key name> base64(key id ‖ signature)
// with key id = first 4 bytes of SHA-256(name ‖ 0A ‖ 01 ‖ public key); 01 is Ed25519. Signatures of other kinds
// (a witness's cosignature, ML-DSA) are carried and not interpreted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/result.h"
#include "crypto/signature.h"

namespace fovea::crypto {

inline constexpr std::size_t kNoteBytesMax = 64 * 1024;
inline constexpr std::size_t kNoteSignaturesMax = 100;

// A key that signs notes under a name. Text form, as Go's note package has it: <name>+<key id hex>+<base64(01 ‖ key)>.
struct NoteKey {
  std::string name;  // not empty, no white space, no '+'
  VerifyKey key{};

  static Result<NoteKey> create(std::string_view name, const VerifyKey& key);
  static Result<NoteKey> parse(std::string_view text);
  std::uint32_t id() const;
  std::string text() const;
  bool operator==(const NoteKey&) const = default;
};

struct NoteSignature {
  std::string name;
  std::uint32_t key_id = 0;
  Bytes signature;
};

struct SignedNote {
  std::string text;
  std::vector<NoteSignature> signatures;

  static Result<SignedNote> parse(ByteView bytes);  // invalid_argument: form only; nothing is verified yet
  std::string serialize() const;
};

// Signs `text` (which must end with a newline) under `name`.
Result<SignedNote> sign_note(std::string_view text, std::string_view name, const SigningKey& key);
// permission_denied when `key` has not signed, corruption when its signature is wrong.
Result<void> verify_note(const SignedNote& note, const NoteKey& key);

// "origin\nsize\nbase64(root)\n", optionally more lines.
struct Checkpoint {
  std::string origin;
  std::uint64_t size = 0;
  Digest root{};

  static Result<Checkpoint> parse(std::string_view text);
  std::string text() const;
  bool operator==(const Checkpoint&) const = default;
};

}  // namespace fovea::crypto
