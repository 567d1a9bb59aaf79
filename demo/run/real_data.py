"""Manifests for real sets of scans: which files belong to which site and split. Files are referred to, never copied."""

import csv
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Study:
    patient: str
    image: Path
    mask: Path


@dataclass
class Site:
    name: str
    studies: list = field(default_factory=list)


@dataclass
class DataSet:
    """What a plan and a person must know of a set of scans."""

    title: str
    modality: str
    normalisation: str
    finding: str
    labels: str  # of the mask, for `fovea-node data ingest --finding`; empty: every non-zero label
    intensity_offset: int  # added to stored values at intake
    sites: list
    remarks: list


def _order(text):
    return hashlib.sha256(text.encode()).hexdigest()


def _artificial_sites(studies, count):
    """Deals the studies out by a hash of the patient's name: even, and the same on every machine."""
    sites = [Site(f"site-{letter}") for letter in "abcdefgh"[:count]]
    for number, study in enumerate(sorted(studies, key=lambda s: _order(s.patient))):
        sites[number % count].studies.append(study)
    return sites


def soft_tissue_sarcoma(folder, modality):
    sub = {"pet": "pet", "mr": "mr-t1"}[modality]
    by_vendor = {}
    with open(folder / "patients.csv", newline="", encoding="utf-8") as table:
        for row in csv.DictReader(table):
            image = folder / sub / f"{row['patient']}_image.nii.gz"
            mask = folder / sub / f"{row['patient']}_mask.nii.gz"
            if image.exists() and mask.exists():
                vendor = row["mr_vendor"].lower()
                by_vendor.setdefault(vendor, Site(vendor)).studies.append(Study(row["patient"], image, mask))
    sites = sorted(by_vendor.values(), key=lambda site: site.name)
    remarks = [
        "sites are the vendors of the patients' MR scanners, a natural split",
        "every patient has a tumour, so there is no study AUC",
    ]
    small = [site.name for site in sites if len(site.studies) < 3]
    if small:
        remarks.append(f"very few patients at: {', '.join(small)}")
    return DataSet(
        "soft-tissue sarcoma, " + ("PET" if modality == "pet" else "MR T1"),
        "PET" if modality == "pet" else "MR",
        "pet-suv" if modality == "pet" else "mr-foreground",
        "tumour",
        "",
        0,
        sites,
        remarks,
    )


def head_neck_ct(folder, labels, site_count):
    studies = []
    for image in sorted(folder.glob("pt_*_ct.nii.gz")):
        mask = image.with_name(image.name.replace("_ct.", "_structures."))
        if mask.exists():
            studies.append(Study(re.sub(r"_ct\.nii\.gz$", "", image.name), image, mask))
    return DataSet(
        f"head-and-neck CT, structures {labels}",
        "CT",
        "ct-soft-tissue",
        f"structures {labels}",
        labels,
        -1024,
        _artificial_sites(studies, site_count),
        [
            "the split into sites is artificial: the set has no site labels",
            "every patient has the chosen structures, so there is no study AUC",
        ],
    )


def paired_folder(folder, modality, labels, site_count):
    """Any folder of NAME_image.nii[.gz] with NAME_mask.nii[.gz]."""
    studies = []
    for image in sorted(folder.rglob("*_image.nii*")):
        mask = image.with_name(image.name.replace("_image.", "_mask."))
        if mask.exists():
            studies.append(Study(image.name.split("_image.")[0], image, mask))
    normalisation = {"pet": "pet-suv", "ct": "ct-soft-tissue", "mr": "mr-foreground"}[modality]
    return DataSet(
        folder.name,
        modality.upper(),
        normalisation,
        "finding",
        labels,
        0,
        _artificial_sites(studies, site_count),
        ["the split into sites is artificial: files were dealt out by a hash of their names"],
    )


def recognise(folder, modality, labels, site_count=4):
    """The data set in `folder`; ValueError says what was looked for and what to do."""
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    if (folder / "patients.csv").exists() and (folder / "pet").is_dir():
        found = soft_tissue_sarcoma(folder, modality or "pet")
    elif next(folder.glob("pt_*_ct.nii.gz"), None):
        found = head_neck_ct(folder, labels or "3,4", site_count)
    else:
        found = paired_folder(folder, modality or "mr", labels, site_count)
    found.sites = [site for site in found.sites if len(site.studies) >= 2]
    if len(found.sites) < 3:
        raise ValueError(
            f"{folder}: found {sum(len(s.studies) for s in found.sites)} studies with masks "
            f"at {len(found.sites)} sites, "
            "need at least 2 at each of 3 sites; expected soft-tissue-sarcoma, head-neck-ct, or files "
            "NAME_image.nii.gz with NAME_mask.nii.gz"
        )
    return found


def split_of(number, count):
    """About 55 % training, 10 % validation, 35 % test; a site of two or three patients has no validation."""
    test = max(1, round(0.35 * count))
    validation = round(0.10 * count) if count >= 6 else 0
    if number < test:
        return "test"
    return "validation" if number < test + validation else "train"


def write_manifest(site, path):
    studies = sorted(site.studies, key=lambda s: _order("split " + s.patient))
    with open(path, "w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["study", "patient", "image", "mask", "split", "label"])
        for number, study in enumerate(studies):
            writer.writerow([study.patient, study.patient, study.image, study.mask, split_of(number, len(studies)), ""])
