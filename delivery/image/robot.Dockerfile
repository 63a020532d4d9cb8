# What runs a module's tests (`images.replace.robot`): Robot Framework with what the examples use, and tar and gzip, which
# pack the results. A company adds its own libraries here:
#
#   docker build --tag registry.example.com/switchyard/robot:7.5 - < delivery/image/robot.Dockerfile
#
# Not built by the tests, which have no internet: lab/images/robot has the same packages from PyPI.
FROM python:3.11-slim-bookworm
RUN pip install --no-cache-dir --no-compile robotframework==7.5 robotframework-requests==0.9.7
ENV LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
USER 1000:1000
WORKDIR /tmp
CMD ["robot", "--version"]
