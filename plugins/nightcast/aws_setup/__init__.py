"""What Nightcast needs on AWS, deployed by CloudFormation: change sets, and the connections that fit the result."""
