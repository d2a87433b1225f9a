"""A loopback control plane for Modal's own SDK: enough of the service to launch, lose, preempt and find runs again.

The SDK speaks gRPC to it as it would to Modal. Function bodies run in processes of their own, through the SDK's own
container entrypoint; every container has private copies of the volumes it mounts, and only a commit publishes them. It
was written from the protocol descriptors that come with the SDK.

It is not the service. There are no images (everything runs in the environment of the tests), no GPUs, no clusters, no
commits in the background, and one client in one workspace. Grace periods are seconds. It shows what cardrunner does
when things happen, not when Modal lets them happen.
"""
