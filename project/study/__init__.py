"""The human perceptual study: people judge a run's adversarial images on a local web page.

``python -m project.study``
    serve RUN      make the study if there is none, print links, and serve it
    invite RUN     print further links
    export RUN     write study_answers.csv and study_answers.parquet into the run's folder
    analyse RUN    write study.csv and study.md there

Parts, each of which knows only those above it
    stimulus_kind, settings, designs, assignment    what is asked, and who is asked what
    distortions, stimuli                            the pictures
    seals, database, create, raters, clock,
    judging                                         one SQLite file, and what happens to it
    security, web, serving                          the pages
    answers, screening, per_attack, analysis,
    findings                                        what comes out
"""
