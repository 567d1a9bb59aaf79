fovea_program(fovea-baselines
  SOURCES baselines.cpp
  DEPENDS fovea_study_evaluation fovea_training fovea_model_use fovea_intake CLI11::CLI11 nlohmann_json::nlohmann_json)
