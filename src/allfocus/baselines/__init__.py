"""The methods beside IFAN in the paper: JNB, EBDB and DMENet with deconvolution, and DPDNet. See registry.py."""
