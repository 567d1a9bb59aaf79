#include "bench/itk_reader.h"

#include <itkGDCMImageIO.h>
#include <itkGDCMSeriesFileNames.h>
#include <itkImage.h>
#include <itkImageFileReader.h>
#include <itkImageSeriesReader.h>
#include <itkNiftiImageIO.h>

#include <string>

namespace fovea::bench {
namespace {

template <class Pixel>
std::uint64_t bytes_of(const itk::Image<Pixel, 3>& image) {
  return image.GetBufferedRegion().GetNumberOfPixels() * sizeof(Pixel);
}

template <class Pixel>
std::uint64_t read_file(const std::string& path) {
  auto reader = itk::ImageFileReader<itk::Image<Pixel, 3>>::New();
  reader->SetImageIO(itk::NiftiImageIO::New());
  reader->SetFileName(path);
  reader->Update();
  return bytes_of(*reader->GetOutput());
}

std::uint64_t read_nifti(const std::string& path) {
  const auto io = itk::NiftiImageIO::New();
  io->SetFileName(path);
  io->ReadImageInformation();
  switch (io->GetComponentType()) {
    case itk::IOComponentEnum::UCHAR: return read_file<unsigned char>(path);
    case itk::IOComponentEnum::SHORT: return read_file<short>(path);
    case itk::IOComponentEnum::USHORT: return read_file<unsigned short>(path);
    case itk::IOComponentEnum::INT: return read_file<int>(path);
    case itk::IOComponentEnum::DOUBLE: return read_file<double>(path);
    case itk::IOComponentEnum::FLOAT:
    case itk::IOComponentEnum::CHAR:
    case itk::IOComponentEnum::UINT:
    case itk::IOComponentEnum::LONG:
    case itk::IOComponentEnum::ULONG:
    case itk::IOComponentEnum::LONGLONG:
    case itk::IOComponentEnum::ULONGLONG:
    case itk::IOComponentEnum::LDOUBLE:
    case itk::IOComponentEnum::UNKNOWNCOMPONENTTYPE: break;
  }
  return read_file<float>(path);
}

std::uint64_t read_series(const std::string& folder) {
  auto names = itk::GDCMSeriesFileNames::New();
  names->SetUseSeriesDetails(false);
  names->SetDirectory(folder);
  // Rescaled values of PET have fractions; those of CT and MR fit too.
  auto reader = itk::ImageSeriesReader<itk::Image<float, 3>>::New();
  reader->SetImageIO(itk::GDCMImageIO::New());
  reader->SetFileNames(names->GetInputFileNames());
  reader->Update();
  return bytes_of(*reader->GetOutput());
}

}  // namespace

Result<std::uint64_t> read_with_itk(const std::filesystem::path& path) {
  try {
    return std::filesystem::is_directory(path) ? read_series(path.string()) : read_nifti(path.string());
  } catch (const itk::ExceptionObject& error) {
    return invalid_argument(path.string() + ": " + error.GetDescription());
  }
}

}  // namespace fovea::bench
