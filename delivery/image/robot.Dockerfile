# What runs a module's tests (`images.replace.robot`): Robot Framework with what the examples use, and tar and gzip, which
# pack the results. A company adds its own libraries here:
#
#   docker build --tag registry.example.com/switchyard/robot:7.5 - < delivery/image/robot.Dockerfile
#
# Not built by the tests, which have no internet: lab/images/robot has the same packages from PyPI. A library of your own
# comes with its hash, as pip-compile --generate-hashes writes it.
FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d
COPY <<'EOF' /tmp/requirements.txt
robotframework==7.5 \
    --hash=sha256:5a194db36524604fafa1da89adebc837db9a95adf15ffd746e09ce98251e6c68
robotframework-requests==0.9.7 \
    --hash=sha256:96315066318778cbcf5523cdb6175f5a0b8fec33275030a20dade3a3d98aeca2
requests==2.34.2 \
    --hash=sha256:2a0d60c172f83ac6ab31e4554906c0f3b3588d37b5cb939b1c061f4907e278e0
urllib3==2.8.0 \
    --hash=sha256:0cf3cae568d36aa9576b28dfb35f11328f1cb974ca7647d9475ebb86c75ac6e3
idna==3.20 \
    --hash=sha256:ab7ae7122974553370f0bdb919e1a960b2cd1bc1ef0276416d896db81c14582c
charset-normalizer==3.5.2 \
    --hash=sha256:211d5a3eb6af8f513b8d4ca19a8c1b7accab1b5f0d3175f9826b03c1a920dc1f \
    --hash=sha256:b6b751274acb69d77b3323d6b7dbaa3c7fdfc1eb829b7eb61d262f32e1af9685 \
    --hash=sha256:d760fe2a4d7c3b226cb9026d6a842868d52a7901bd98420e1baf14e80da85cf5
certifi==2026.10.18 \
    --hash=sha256:73191c47aaa79da394e8fee2dbc2ec827432cab56311122c9e47abf79e390f62
EOF
RUN pip install --no-cache-dir --no-compile --require-hashes --only-binary :all: --requirement /tmp/requirements.txt
ENV LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
USER 1000:1000
WORKDIR /tmp
CMD ["robot", "--version"]
