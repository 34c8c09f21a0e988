"""Action detection on AVA: what each person of a keyframe does, from the features inside the person's box.

Source: Gu et al., "AVA", CVPR 2018; the detector and its protocol as facebookresearch/SlowFast trains them
(Feichtenhofer et al., "SlowFast Networks for Video Recognition", ICCV 2019, section 5), which MaCLR and SEVERE follow.
"""
