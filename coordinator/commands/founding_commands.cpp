#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/command_line.h"
#include "common/console.h"
#include "common/contains.h"
#include "common/durable_file.h"
#include "common/file_lock.h"
#include "coordinator/commands/command.h"
#include "coordinator/registry/next_steps.h"
#include "crypto/key_file.h"
#include "crypto/random_source.h"
#include "crypto/signature.h"
#include "federation/files/passphrase.h"
#include "federation/files/signed_document_file.h"
#include "federation/membership/invite.h"
#include "federation/membership/roster.h"
#include "federation/membership/signed_document.h"
#include "federation/membership/site_fields.h"

namespace fovea::coordinator::commands {
namespace {

using federation::membership::Invite;
using federation::membership::SignedDocument;

struct FoundingChoice {
  std::string name;
  std::string host = "127.0.0.1";
  std::uint16_t port = 7443;
  std::vector<std::string> administrators;
  std::uint32_t quorum = 0;  // 0: all of them
  std::string key_here;
  std::string endpoint;
  std::string other_host;  // amend: instead of the endpoint
  std::uint16_t other_port = 0;
  std::string file;
  std::string key;
  bool show = false;
  bool replace = false;

  registry::Waiting waiting() const { return replace ? registry::Waiting::replace : registry::Waiting::keep; }
};

Result<crypto::SigningKey> make_key(CommandContext& context, const std::string& file) {
  FOVEA_TRY(refuse_existing(file));
  FOVEA_TRY_ASSIGN(const crypto::SecretBytes passphrase, context.passphrase.fresh("the key " + file));
  crypto::SystemRandom random;
  crypto::SigningKey key = crypto::SigningKey::create(random);
  FOVEA_TRY(crypto::create_protected_key_file(file, key, passphrase));
  return key;
}

Result<void> show_administrator(CommandContext& context, const FoundingChoice& choice) {
  FOVEA_TRY(crypto::check_protected_key_file(choice.file));
  FOVEA_TRY_ASSIGN(const crypto::SecretBytes passphrase, context.passphrase.existing("the key " + choice.file));
  FOVEA_TRY_ASSIGN(const crypto::SigningKey key, crypto::read_protected_key_file(choice.file, passphrase));
  const std::string hex = to_hex(key.verify_key());
  context.console.data("administrator", {{"file", choice.file}, {"public_key", hex}}, "public key " + hex);
  return {};
}

Result<void> run_administrator(CommandContext& context, const FoundingChoice& choice) {
  if (choice.show) return show_administrator(context, choice);
  FOVEA_TRY_ASSIGN(const crypto::SigningKey key, make_key(context, choice.file));
  const std::string hex = to_hex(key.verify_key());
  context.console.data("administrator", {{"file", choice.file}, {"public_key", hex}},
                       "secret key in " + choice.file + ", under your passphrase; it stays with you\npublic key " +
                           hex + "\nnext: give the public key to whoever runs the coordinator, for fovea-coordinator " +
                           "init NAME --administrator " + hex);
  return {};
}

Result<void> run_passphrase(CommandContext& context, const FoundingChoice& choice) {
  FOVEA_TRY_ASSIGN(const crypto::SigningKey key, federation::files::change_passphrase(choice.file, context.passphrase));
  context.console.data("passphrase", {{"file", choice.file}, {"public_key", to_hex(key.verify_key())}},
                       choice.file +
                           ": under the new passphrase; the key is the same, and nobody has to be told. Another copy "
                           "of the file, such as one in a backup, still opens with the old one");
  return {};
}

// Everything that a signature under a founding document vouches for.
std::string description_of(const Invite& facts) {
  std::string out = "federation        " + facts.federation + "\nendpoint          " + facts.endpoint +
                    "\ntransport key     " + to_hex(facts.coordinator_transport_key) + "\nsigning key       " +
                    to_hex(facts.coordinator_signing_key);
  for (const auto& key : facts.administrators) out += "\nadministrator     " + to_hex(key);
  return out + "\nquorum            " + std::to_string(facts.quorum) + ": " + facts.who_decides() +
         "\nfingerprint       " + facts.fingerprint();
}

nlohmann::ordered_json json_of(const Invite& facts) {
  return {{"federation", facts.federation},
          {"endpoint", facts.endpoint},
          {"administrators", facts.administrators.size()},
          {"quorum", facts.quorum},
          {"fingerprint", facts.fingerprint()}};
}

Result<federation::membership::PublicKeyBytes> read_administrator(const std::string& hex) {
  federation::membership::PublicKeyBytes key{};
  const auto bytes = from_hex(hex);
  if (bytes && bytes->size() == key.size() && to_hex(*bytes) == hex) {
    FOVEA_TRY_ASSIGN(key, to_array<32>(*bytes, "--administrator"));
    const auto usable = crypto::check_public_key(key);
    if (usable) return key;
    return invalid_argument("--administrator " + hex + ": " + usable.error().message +
                            "; fovea-coordinator administrator FILE prints the right one (and with --show once more)");
  }
  return invalid_argument("--administrator \"" + hex +
                          "\": expected a public key, 64 digits 0-9 and a-f, as fovea-coordinator administrator FILE "
                          "prints it (and with --show once more)");
}

// What the document would be refused for, by the names of the options: nobody who types them has seen the document.
Result<registry::CoordinatorFolder::NewFederation> new_federation(const FoundingChoice& choice) {
  registry::CoordinatorFolder::NewFederation out{choice.name, choice.host, choice.port, {}, choice.quorum};
  if (choice.administrators.size() > federation::membership::kAdministratorsMax)
    return invalid_argument("--administrator: given " + counted(choice.administrators.size(), "time") + ", at most " +
                            std::to_string(federation::membership::kAdministratorsMax));
  for (const std::string& hex : choice.administrators) {
    FOVEA_TRY_ASSIGN(const auto key, read_administrator(hex));
    if (contains(out.administrators, key))
      return invalid_argument("--administrator " + hex + ": is given twice; one person is one administrator");
    out.administrators.push_back(key);
  }
  if (out.quorum == 0) out.quorum = static_cast<std::uint32_t>(out.administrators.size());
  return out;
}

Error by_option(const Error& error, std::string_view option) {
  return error.message.starts_with("invite.endpoint") ? error.with_context(option) : error;
}

Result<void> check_quorum(std::uint32_t quorum, std::size_t administrators) {
  if (quorum <= administrators) return {};
  return invalid_argument("--quorum " + std::to_string(quorum) + ": there would be only " +
                          counted(administrators, "administrator") +
                          " (--administrator, once for each); at most all of them can be asked to sign");
}

// One machine, one person: asked for by name, and said aloud.
Result<void> init_with_key_here(CommandContext& context, const FoundingChoice& choice) {
  const registry::CoordinatorFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(registry::CoordinatorFolder::NewFederation fresh, new_federation(choice));
  fresh.administrators = {{}};  // the key is made last, once nothing else can be refused
  fresh.quorum = 1;
  if (const auto fine = folder.check_new(fresh); !fine) return by_option(fine.error(), "--host");
  FOVEA_TRY_ASSIGN(const crypto::SigningKey key, make_key(context, choice.key_here));
  fresh.administrators = {key.verify_key()};
  FOVEA_TRY(folder.create(fresh));
  FOVEA_TRY_ASSIGN(SignedDocument document, federation::files::read_signed_document(folder.founding_file()));
  FOVEA_TRY(document.sign(key));
  FOVEA_TRY_ASSIGN(const Invite facts, folder.found(document));
  nlohmann::ordered_json data = json_of(facts);
  data["folder"] = context.home.string();
  data["public_key"] = to_hex(key.verify_key());
  context.console.data(
      "init", data,
      "federation " + facts.federation + " made in " + context.home.string() + "\nsites will dial " + facts.endpoint +
          "\nfingerprint " + facts.fingerprint() + "\n" + facts.who_decides() + ", with the key " + choice.key_here +
          ": every hospital sees that\nnext: fovea-coordinator --home " + context.home.string() + " invite");
  return {};
}

// A founding document that waits for its signatures.
void show_founding(const CommandContext& context, std::string_view command, const Invite& facts) {
  const std::string file = context.folder().founding_file().string();
  nlohmann::ordered_json data = json_of(facts);
  data["folder"] = context.home.string();
  data["founding"] = file;
  context.console.data(command, data,
                       description_of(facts) + "\nnext: each administrator signs " + file +
                           ":\n  fovea-coordinator sign-founding FILE --key KEYFILE\nand then: fovea-coordinator "
                           "--home " +
                           context.home.string() + " take FILE");
}

Result<void> run_init(CommandContext& context, const FoundingChoice& choice) {
  if (choice.administrators.empty() == choice.key_here.empty())
    return invalid_argument(
        "init: say who decides who takes part: --administrator KEY for each person who made a key on a machine of her "
        "own (fovea-coordinator administrator FILE), or --administrator-key-here FILE for one person on this machine");
  if (const auto name = federation::membership::check_federation_name(choice.name); !name)
    return name.error().with_context("init NAME");
  if (!choice.key_here.empty() && choice.quorum > 1)
    return invalid_argument("--quorum: is 1 with --administrator-key-here, which makes one administrator's key");
  if (!choice.key_here.empty()) return init_with_key_here(context, choice);
  const registry::CoordinatorFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(const registry::CoordinatorFolder::NewFederation fresh, new_federation(choice));
  FOVEA_TRY(check_quorum(fresh.quorum, fresh.administrators.size()));
  const auto facts = folder.create(fresh);
  if (!facts) return by_option(facts.error(), "--host");
  show_founding(context, "init", *facts);
  return {};
}

// tcp://host:port with the other host or port that was named.
std::string changed_endpoint(const std::string& before, const FoundingChoice& choice) {
  if (!choice.endpoint.empty()) return choice.endpoint;
  const std::size_t start = before.find("//") + 2, colon = before.rfind(':');
  const std::string host = choice.other_host.empty() ? before.substr(start, colon - start) : choice.other_host;
  return before.substr(0, start) + host + ":" +
         (choice.other_port == 0 ? before.substr(colon + 1) : std::to_string(choice.other_port));
}

// What is not named stays as it is.
Result<void> run_amend(CommandContext& context, const FoundingChoice& choice) {
  const registry::CoordinatorFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(const Invite before, folder.federation());
  FOVEA_TRY_ASSIGN(const registry::CoordinatorFolder::NewFederation named, new_federation(choice));
  Invite next = before;
  next.endpoint = changed_endpoint(before.endpoint, choice);
  if (!named.administrators.empty()) next.administrators = named.administrators;
  if (named.quorum > 0) next.quorum = named.quorum;
  FOVEA_TRY(check_quorum(next.quorum, next.administrators.size()));
  const auto facts = folder.amend(next, choice.waiting());
  if (!facts) return by_option(facts.error(), choice.endpoint.empty() ? "--host" : "--endpoint");
  show_founding(context, "amend", *facts);
  return {};
}

// Before anybody reads it or types a passphrase: one that was changed after somebody signed it is nobody's.
Result<Invite> founding_to_sign(const SignedDocument& document) {
  FOVEA_TRY(document.check_kind("invite"));
  FOVEA_TRY_ASSIGN(Invite facts, Invite::parse(document.document));
  FOVEA_TRY(document.count_valid("invite", facts.administrators));
  return facts;
}

// The file that a link leads to: the signature belongs there, and the link stays one.
std::filesystem::path behind_links(const std::filesystem::path& file) {
  std::error_code error;
  const std::filesystem::path out = std::filesystem::canonical(file, error);
  return error ? file : out;
}

Result<void> run_sign_founding(CommandContext& context, const FoundingChoice& choice) {
  FOVEA_TRY_ASSIGN(SignedDocument document, federation::files::read_signed_document(choice.file));
  const auto facts = founding_to_sign(document);
  if (!facts) return facts.error().with_context(choice.file);
  context.console.progress(description_of(*facts));
  FOVEA_TRY(crypto::check_protected_key_file(choice.key));
  FOVEA_TRY_ASSIGN(const crypto::SecretBytes passphrase, context.passphrase.existing("the key " + choice.key));
  FOVEA_TRY_ASSIGN(const crypto::SigningKey key, crypto::read_protected_key_file(choice.key, passphrase));
  if (std::find(facts->administrators.begin(), facts->administrators.end(), key.verify_key()) ==
      facts->administrators.end())
    return permission_denied(choice.key + ": is not the key of an administrator whom " + choice.file + " lists");
  const std::filesystem::path file = behind_links(choice.file);
  const std::filesystem::path folder = file.parent_path().empty() ? "." : file.parent_path();
  FOVEA_TRY_ASSIGN(const FileLock lock,
                   FileLock::take(folder, folder.string() + ": another program changes a file here; try again"));
  // Somebody else may have signed it in the meantime: both signatures count.
  FOVEA_TRY_ASSIGN(SignedDocument now, federation::files::read_signed_document(choice.file));
  if (now.document != document.document)
    return failed_precondition(choice.file + ": was changed while the passphrase was typed; sign it again");
  document = std::move(now);
  FOVEA_TRY(document.sign(key));
  FOVEA_TRY_ASSIGN(const std::size_t valid, document.count_valid("invite", facts->administrators));
  FOVEA_TRY(write_file_durably(file, document.serialize()));
  nlohmann::ordered_json data = json_of(*facts);
  data["signatures"] = valid;
  const std::size_t left = facts->administrators.size() - valid;
  context.console.data(
      "sign-founding", data,
      choice.file + ": signed by " + std::to_string(valid) + " of " +
          counted(facts->administrators.size(), "administrator") + ", fingerprint " + facts->fingerprint() +
          "\nnext: " +
          (left > 0 ? "send it to " + counted(left, "more administrator") +
                          ", or back to the coordinator, who adds up the signatures of several copies: "
                          "fovea-coordinator take FILE"
                    : "send it back to the coordinator: fovea-coordinator take FILE"));
  return {};
}

// What people have to do once a founding document is in force, most of all after one that sites have pinned.
std::string steps_after_founding(const CommandContext& context, const registry::TakenFounding& taken) {
  const std::string program = "fovea-coordinator --home " + context.home.string();
  if (!taken.before) return "\nnext: " + program + " invite";
  std::string out = "\nnext:";
  // Signed by people who do not count any more. Another endpoint alone changes nothing about a roster.
  const auto roster = context.folder().roster_document();
  if (roster && !federation::membership::verify_roster_signatures(*roster, taken.facts.trust()))
    out += "\n  here: " + registry::renewal_steps(taken.facts);
  return out + "\n  here: " + program + " invite --output FILE, and a run that is being served is to be stopped and " +
         "started again\n  at each hospital: compare the new fingerprint, fovea-node join FILE --accept-change, then " +
         "restart the node";
}

Result<void> take_founding(CommandContext& context, const FoundingChoice& choice, const SignedDocument& document) {
  const registry::CoordinatorFolder folder = context.folder();
  const auto taken = folder.take_founding(document);
  if (!taken) return taken.error().with_context(choice.file);
  const Invite& facts = taken->facts;
  const std::size_t left = facts.administrators.size() - taken->signatures;
  nlohmann::ordered_json data = json_of(facts);
  data["in_force"] = taken->in_force;
  data["amended"] = taken->before.has_value();
  data["signatures_missing"] = left;
  std::string text = "federation " + facts.federation;
  if (!taken->in_force) {
    text += ", fingerprint " + facts.fingerprint() + ": signed by " + std::to_string(taken->signatures) + " of " +
            counted(facts.administrators.size(), "administrator") + "; it waits in " + folder.founding_file().string() +
            "\nnext: take a copy that " + counted(left, "more administrator") +
            (left == 1 ? " has signed" : " have signed");
    context.console.data("take", data, text);
    return {};
  }
  text += (taken->was_in_force ? " has this founding document already"
           : taken->before     ? " is amended"
                               : " is founded") +
          std::string(", fingerprint ") + facts.fingerprint();
  if (taken->before)
    for (const std::string& line : federation::membership::differences(*taken->before, facts)) text += "\n  " + line;
  if (const auto config = registry::CoordinatorConfig::read(folder.config()); config)
    if (const std::string warning = registry::endpoint_warning(facts, *config); !warning.empty()) {
      data["warning"] = warning;
      context.console.progress("warning: " + warning);
    }
  context.console.data("take", data, text + "\n" + facts.who_decides() + steps_after_founding(context, *taken));
  return {};
}

Result<void> run_take(CommandContext& context, const FoundingChoice& choice) {
  const registry::CoordinatorFolder folder = context.folder();
  if (!std::filesystem::exists(folder.founding_file())) FOVEA_TRY(folder.federation());
  FOVEA_TRY_ASSIGN(SignedDocument document, federation::files::read_signed_document(choice.file));
  if (document.kind == "invite") return take_founding(context, choice, document);
  if (document.kind != "roster")
    return permission_denied(choice.file + ": is " + std::string(federation::membership::name_of_kind(document.kind)) +
                             ", neither a founding document nor a roster");
  const auto before = folder.newest_roster();
  const auto outcome = folder.take_roster(std::move(document), context.clock.wall(), choice.waiting());
  if (!outcome) return outcome.error().with_context(choice.file);
  show_change(context, before ? *before : federation::membership::Roster(), outcome->roster);
  show_roster(context, "take", *outcome);
  return {};
}

Result<void> run_invite(CommandContext& context, const FoundingChoice& choice) {
  FOVEA_TRY_ASSIGN(const Invite facts, context.folder().federation());
  FOVEA_TRY_ASSIGN(const Bytes bytes, context.folder().invite_bytes());
  const std::filesystem::path out = choice.file.empty() ? context.folder().root() / "invite.json"
                                                        : std::filesystem::path(choice.file);
  if (!choice.file.empty()) {
    FOVEA_TRY(refuse_existing(out, "--output"));
    FOVEA_TRY(write_file_durably(out, bytes));
  }
  context.console.data("invite", {{"invite", out.string()}, {"fingerprint", facts.fingerprint()}},
                       "send " + out.string() + " to the hospital, and read out the federation's fingerprint " +
                           facts.fingerprint() + " by telephone");
  return {};
}

}  // namespace

void add_founding_commands(CLI::App& app, CommandContext& context) {
  app.add_option("--home", context.home, "The coordinator's folder")->capture_default_str();
  app.add_option("--passphrase-fd", context.passphrase.descriptor,
                 "Where a key needs a passphrase: read it from this file descriptor, not from the terminal")
      ->check(CLI::Range(0, 1023));
  auto choice = std::make_shared<FoundingChoice>();
  const auto on = [&context, choice](CLI::App* command, auto body) {
    command->callback([&context, choice, command, body] {
      context.console.run(command->get_name(), [&] { return body(context, *choice); });
    });
  };
  const auto on_folder = [&context, choice](CLI::App* command, auto body) {
    command->callback([&context, choice, command, body] {
      context.console.run(command->get_name(), [&]() -> Result<void> {
        FOVEA_TRY_ASSIGN(const std::optional<FileLock> lock, context.lock_changes(command->get_name()));
        return body(context, *choice);
      });
    });
  };
  auto* administrator =
      app.add_subcommand("administrator", "Make an administrator's key, on that person's own machine");
  administrator->add_option("file", choice->file, "Where to write the secret key")->required();
  administrator->add_flag("--show", choice->show, "Print the public key of this file once more, and make none");
  on(administrator, run_administrator);
  auto* passphrase = app.add_subcommand("passphrase", "Change the passphrase of an administrator's key");
  passphrase->add_option("file", choice->file, "The file with the secret key")->required();
  on(passphrase, run_passphrase);
  auto* init = app.add_subcommand("init", "Make a coordinator's keys, its settings and the founding document to sign");
  init->add_option("name", choice->name, "The federation's name, for example lesions-2026")->required();
  init->add_option("--host", choice->host, "Name or address under which sites reach this machine")
      ->capture_default_str();
  init->add_option("--port", choice->port, "Port to listen on")->capture_default_str()->check(CLI::Range(1, 65535));
  init->add_option("--administrator-key-here", choice->key_here,
                   "Make one administrator's key on this machine, in this file: one person alone decides");
  on_folder(init, run_init);
  auto* amend = app.add_subcommand("amend", "Change the founding document: a new one to sign, which sites then accept");
  auto* endpoint =
      amend->add_option("--endpoint", choice->endpoint, "Another tcp://host:port under which sites reach this machine");
  amend->add_option("--host", choice->other_host, "Another name or address under which sites reach this machine")
      ->excludes(endpoint);
  amend->add_option("--port", choice->other_port, "Another port under which they do")
      ->check(CLI::Range(1, 65535))
      ->excludes(endpoint);
  for (auto* command : {init, amend}) {
    command
        ->add_option("--administrator", choice->administrators,
                     "Public key of a person who decides who takes part; repeat it, up to eight")
        ->take_all();
    command->add_option("--quorum", choice->quorum, "How many administrators must sign a roster; the default is all")
        ->check(CLI::Range(1, 8));
  }
  amend->add_flag("--replace", choice->replace, "Write it over one that waits for signatures, which is lost then");
  on_folder(amend, run_amend);
  auto* sign = app.add_subcommand("sign-founding", "Sign a founding document as one of its administrators");
  sign->add_option("file", choice->file, "founding.json, or a copy of it")->required();
  sign->add_option("--key", choice->key, "The administrator's key file")->required();
  on(sign, run_sign_founding);
  auto* take = app.add_subcommand("take", "Take a founding document or a roster that administrators have signed");
  take->add_option("file", choice->file, "The signed document, or a copy that only some have signed so far")
      ->required();
  take->add_flag("--replace", choice->replace, "Take a roster also where another one waits for signatures");
  on_folder(take, run_take);
  auto* invite = app.add_subcommand("invite", "Write the invite for hospitals: the signed founding document");
  invite->add_option("--output", choice->file, "Where to; the default is invite.json in the coordinator's folder");
  on(invite, run_invite);
}

}  // namespace fovea::coordinator::commands
