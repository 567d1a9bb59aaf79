#include "crypto/signed_note.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "common/numbers.h"
#include "common/result.h"
#include "crypto/hash.h"

namespace fovea::crypto {
namespace {

constexpr std::uint8_t kEd25519 = 0x01;
constexpr std::string_view kSignaturePrefix = "\xe2\x80\x94 ";  // an em dash and a space
constexpr std::size_t kKeyNameMax = 255;
constexpr std::size_t kKeyIdBytes = 4;

bool acceptable_name(std::string_view name) {
  if (name.empty() || name.size() > kKeyNameMax) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte < 0x7f && c != '+';
  });
}

std::uint32_t read_key_id(ByteView bytes) {
  std::uint32_t id = 0;
  for (std::size_t i = 0; i < kKeyIdBytes; ++i) id = (id << 8U) | bytes[i];
  return id;
}

Bytes key_id_bytes(std::uint32_t id) {
  Bytes out;
  for (unsigned shift = 32; shift > 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>((id >> (shift - 8)) & 0xffU));
  return out;
}

Result<NoteSignature> parse_signature_line(std::string_view line) {
  if (!line.starts_with(kSignaturePrefix))
    return invalid_argument("signed note: a signature line does not start with an em dash");
  line.remove_prefix(kSignaturePrefix.size());
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return invalid_argument("signed note: a signature line has no signature");
  const std::string_view name = line.substr(0, space);
  if (!acceptable_name(name)) return invalid_argument("signed note: a key name is empty or holds white space or '+'");
  auto decoded = from_base64(line.substr(space + 1));
  if (!decoded) return decoded.error().with_context("signed note: signature of " + std::string(name));
  if (decoded->size() <= kKeyIdBytes)
    return invalid_argument("signed note: signature of " + std::string(name) + " is too short");
  NoteSignature out;
  out.name = std::string(name);
  out.key_id = read_key_id(*decoded);
  out.signature.assign(decoded->begin() + kKeyIdBytes, decoded->end());
  return out;
}

// Takes the text up to the next newline; a missing newline is an error.
Result<std::string_view> take_line(std::string_view& rest, std::string_view what) {
  const std::size_t end = rest.find('\n');
  if (end == std::string_view::npos)
    return invalid_argument("checkpoint: " + std::string(what) + " has no end of line");
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return line;
}

}  // namespace

Result<NoteKey> NoteKey::create(std::string_view name, const VerifyKey& key) {
  if (!acceptable_name(name))
    return invalid_argument("note key: the name must be 1 to 255 ASCII characters without white space and '+'");
  return NoteKey{std::string(name), key};
}

Result<NoteKey> NoteKey::parse(std::string_view text) {
  // A name has no '+', but base64 may: split at the first two.
  const std::size_t first = text.find('+');
  const std::size_t second = first == std::string_view::npos ? first : text.find('+', first + 1);
  if (second == std::string_view::npos)
    return invalid_argument(
        "note key: expected <name>+<key id>+<base64 key>, as fovea-node and fovea-coordinator print it");
  FOVEA_TRY_ASSIGN(const Bytes id, from_hex(text.substr(first + 1, second - first - 1)));
  FOVEA_TRY_ASSIGN(const Bytes key, from_base64(text.substr(second + 1)));
  if (key.size() != 33 || key.front() != kEd25519)
    return invalid_argument("note key: expected 33 bytes that start with 01 (Ed25519), found " +
                            std::to_string(key.size()));
  FOVEA_TRY_ASSIGN(const VerifyKey verify_key, to_array<32>(ByteView(key).subspan(1), "note key"));
  FOVEA_TRY_ASSIGN(NoteKey out, create(text.substr(0, first), verify_key));
  if (id.size() != kKeyIdBytes || read_key_id(id) != out.id())
    return invalid_argument("note key: the key id does not belong to this name and key; was it copied whole?");
  return out;
}

std::uint32_t NoteKey::id() const {
  Bytes input(name.begin(), name.end());
  input.push_back('\n');
  input.push_back(kEd25519);
  input.insert(input.end(), key.begin(), key.end());
  return read_key_id(sha256(input));
}

std::string NoteKey::text() const {
  Bytes data{kEd25519};
  data.insert(data.end(), key.begin(), key.end());
  return name + "+" + to_hex(key_id_bytes(id())) + "+" + to_base64(data);
}

Result<SignedNote> SignedNote::parse(ByteView bytes) {
  if (bytes.size() > kNoteBytesMax)
    return invalid_argument("signed note: longer than " + std::to_string(kNoteBytesMax) + " bytes");
  const std::string_view all = as_text(bytes);
  const bool control =
      std::any_of(all.begin(), all.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\n'; });
  if (control) return invalid_argument("signed note: holds a control character");
  // The text may itself hold blank lines: the last one separates it from the signatures.
  const std::size_t split = all.rfind("\n\n");
  if (split == std::string_view::npos) return invalid_argument("signed note: no blank line before the signatures");
  SignedNote out;
  out.text = std::string(all.substr(0, split + 1));
  std::string_view rest = all.substr(split + 2);
  if (rest.empty() || rest.back() != '\n')
    return invalid_argument("signed note: no signature, or the last line has no end");
  while (!rest.empty()) {
    if (out.signatures.size() == kNoteSignaturesMax)
      return invalid_argument("signed note: more than " + std::to_string(kNoteSignaturesMax) + " signatures");
    const std::size_t end = rest.find('\n');
    FOVEA_TRY_ASSIGN(NoteSignature signature, parse_signature_line(rest.substr(0, end)));
    out.signatures.push_back(std::move(signature));
    rest.remove_prefix(end + 1);
  }
  return out;
}

std::string SignedNote::serialize() const {
  std::string out = text + "\n";
  for (const NoteSignature& signature : signatures) {
    Bytes data = key_id_bytes(signature.key_id);
    data.insert(data.end(), signature.signature.begin(), signature.signature.end());
    out += std::string(kSignaturePrefix) + signature.name + " " + to_base64(data) + "\n";
  }
  return out;
}

Result<SignedNote> sign_note(std::string_view text, std::string_view name, const SigningKey& key) {
  if (text.empty() || text.back() != '\n') return invalid_argument("signed note: the text must end with a newline");
  FOVEA_TRY_ASSIGN(const NoteKey note_key, NoteKey::create(name, key.verify_key()));
  const Signature signature = key.sign(as_bytes(text));
  SignedNote out;
  out.text = std::string(text);
  out.signatures.push_back({note_key.name, note_key.id(), Bytes(signature.begin(), signature.end())});
  return out;
}

Result<void> verify_note(const SignedNote& note, const NoteKey& key) {
  const std::uint32_t id = key.id();
  for (const NoteSignature& signature : note.signatures) {
    if (signature.name != key.name || signature.key_id != id) continue;
    if (check_signature(key.key, as_bytes(note.text), signature.signature) != SignatureVerdict::valid)
      return corruption("the signature of " + key.name + " does not belong to this text");
    return {};
  }
  return permission_denied("no signature by the key of " + key.name);
}

Result<Checkpoint> Checkpoint::parse(std::string_view text) {
  Checkpoint out;
  FOVEA_TRY_ASSIGN(const std::string_view origin, take_line(text, "the origin line"));
  FOVEA_TRY_ASSIGN(const std::string_view size, take_line(text, "the size line"));
  FOVEA_TRY_ASSIGN(const std::string_view root, take_line(text, "the root line"));
  if (origin.empty()) return invalid_argument("checkpoint: the origin is empty");
  out.origin = std::string(origin);
  const std::optional<std::uint64_t> entries = read_digits(size);
  if (!entries || (size.size() > 1 && size.front() == '0'))
    return invalid_argument("checkpoint: the size is not a decimal number");
  out.size = *entries;
  FOVEA_TRY_ASSIGN(const Bytes root_bytes, from_base64(root));
  FOVEA_TRY_ASSIGN(out.root, to_array<32>(root_bytes, "checkpoint root"));
  return out;
}

std::string Checkpoint::text() const { return origin + "\n" + std::to_string(size) + "\n" + to_base64(root) + "\n"; }

}  // namespace fovea::crypto
