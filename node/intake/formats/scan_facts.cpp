#include "node/intake/formats/scan_facts.h"

namespace fovea::node::intake {
namespace {

bool contradict(const std::string& a, const std::string& b) { return !a.empty() && !b.empty() && a != b; }

}  // namespace

std::string join_series(SeriesIdentity& known, const SeriesIdentity& file) {
  constexpr const char* kShared = " differs between files of one Series Instance UID, which an anonymiser or archive ";
  if (known.patient != file.patient || contradict(known.person, file.person))
    return std::string("two patients in one series: Patient ID, name or birth date") + kShared +
           "gave twice; send each patient's scan under a UID of its own";
  if (contradict(known.study, file.study))
    return std::string("two studies in one series: Study Instance UID") + kShared +
           "gave twice; send each study's scan under a UID of its own";
  if (known.modality != file.modality)
    return std::string("two modalities in one series: SOP Class UID (") + known.modality + " and " + file.modality +
           ")" + kShared + "gave twice; send each scan under a UID of its own";
  if (contradict(known.frame_of_reference, file.frame_of_reference))
    return "two frames of reference in one series: Frame of Reference UID differs between its files (the patient or "
           "the table moved between them?); send each part as a series of its own";
  for (std::string SeriesIdentity::*const fact :
       {&SeriesIdentity::person, &SeriesIdentity::study, &SeriesIdentity::frame_of_reference})
    if ((known.*fact).empty()) known.*fact = file.*fact;
  return "";
}

}  // namespace fovea::node::intake
